"""One module per file format read; every one of them takes bytes or an open file and is strict."""
