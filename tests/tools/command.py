"""Imported by the Python scripts of tests/ that people call; scripts for bash have ops/lib/common.sh."""
import sys


def words(doc, least, most):
    """The words that the script was called with. --help prints doc and ends. An unknown option
    or a wrong number of words prints doc to standard error and ends with 64."""
    given = sys.argv[1:]
    if "--help" in given or "-h" in given:
        print(doc.strip())
        sys.exit(0)
    if not least <= len(given) <= most or any(word.startswith("-") for word in given):
        print(doc.strip(), file=sys.stderr)
        sys.exit(64)
    return given
