"""
Training code of the tumour classifier: split the data, fit the candidate and the baseline, measure both.

This is the file that the OpenLineage events name by git commit, so it needs nothing but scikit-learn and pandas.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
import pandas
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, recall_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

SEED = 20261123
LABEL = "diagnosis"
MALIGNANT = "malignant"
FEATURES = (
    "mean_radius",
    "mean_texture",
    "mean_perimeter",
    "mean_area",
    "mean_smoothness",
    "mean_compactness",
    "mean_concavity",
    "mean_concave_points",
    "mean_symmetry",
    "mean_fractal_dimension",
)
BASELINE_FEATURES = ("mean_texture", "mean_smoothness", "mean_symmetry")
"""What the model in force uses: the three features that do not need the outline of the nucleus."""

CANDIDATE_PARAMETERS = {"n_estimators": 60, "max_depth": 2, "learning_rate": 0.1, "random_state": SEED}


def load_samples() -> pandas.DataFrame:
    """Read the breast cancer data that scikit-learn ships: an id, ten mean features and the diagnosis."""
    bunch = load_breast_cancer(as_frame=True)
    samples = bunch.data.rename(columns=lambda name: name.replace(" ", "_"))[list(FEATURES)]
    samples.insert(0, "sample_id", [f"S{number:04}" for number in range(1, len(samples) + 1)])
    samples[LABEL] = [str(bunch.target_names[target]) for target in bunch.target]
    return samples


def split_samples(samples: pandas.DataFrame) -> tuple[pandas.DataFrame, pandas.DataFrame]:
    """Split in two halves with the same share of malignant samples: one to train on, one held out."""
    train, holdout = train_test_split(samples, test_size=0.5, stratify=samples[LABEL], random_state=SEED)
    return train.sort_values("sample_id"), holdout.sort_values("sample_id")


def fit_candidate(train: pandas.DataFrame) -> GradientBoostingClassifier:
    """Fit boosted trees of depth two on all ten features."""
    return GradientBoostingClassifier(**CANDIDATE_PARAMETERS).fit(train[list(FEATURES)], _is_malignant(train))


def fit_baseline(train: pandas.DataFrame) -> Pipeline:
    """Fit the model in force again on the same samples: a logistic regression on three features."""
    model = make_pipeline(StandardScaler(), LogisticRegression())
    return model.fit(train[list(BASELINE_FEATURES)], _is_malignant(train))


def predict(model: Any, samples: pandas.DataFrame) -> numpy.ndarray:
    """Probability of malignancy by sample, in [0, 1]."""
    return numpy.asarray(model.predict_proba(samples[list(model.feature_names_in_)])[:, 1])


def measure(probabilities: numpy.ndarray, samples: pandas.DataFrame) -> dict[str, float]:
    """Metrics on the samples at a threshold of one half; ratios lie in [0, 1], counts are samples."""
    truth, answers = _is_malignant(samples), probabilities >= 0.5
    return {
        "accuracy": float((answers == truth).mean()),
        "correct": float((answers == truth).sum()),
        "sample_size": float(len(samples)),
        "sensitivity": float(recall_score(truth, answers)),
        "specificity": float(recall_score(~truth, ~answers)),
        "roc_auc": float(roc_auc_score(truth, probabilities)),
        "log_loss": float(log_loss(truth, probabilities)),
    }


def write_model(model: GradientBoostingClassifier, path: Path) -> None:
    """Write the trees as JSON, which serve.py reads with nothing but Python's standard library."""
    trees = [estimator.tree_ for estimator in model.estimators_[:, 0]]
    prior = float(model.init_.class_prior_[1])
    document = {
        "format": "boosted-trees/1",
        "features": list(model.feature_names_in_),
        "prior_log_odds": float(numpy.log(prior / (1 - prior))),
        "learning_rate": model.learning_rate,
        "trees": [
            {
                "feature": tree.feature.tolist(),
                "threshold": tree.threshold.tolist(),
                "left": tree.children_left.tolist(),
                "right": tree.children_right.tolist(),
                "value": tree.value[:, 0, 0].tolist(),
            }
            for tree in trees
        ],
    }
    path.write_text(json.dumps(document, indent=1) + "\n", "utf-8", newline="\n")


def _is_malignant(samples: pandas.DataFrame) -> numpy.ndarray:
    return numpy.asarray(samples[LABEL] == MALIGNANT)
