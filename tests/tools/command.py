"""Imported by the Python scripts of tests/ that people call; scripts for bash have ops/lib/common.sh."""
import sys


def words(doc, least, most):
    """The words that the script was called with. With --help it only prints doc; with words that it
    does not know, or another number of them, doc goes to standard error, and the status is 64."""
    given = sys.argv[1:]
    if "--help" in given or "-h" in given:
        print(doc.strip())
        sys.exit(0)
    if not least <= len(given) <= most or any(word.startswith("-") for word in given):
        print(doc.strip(), file=sys.stderr)
        sys.exit(64)
    return given
