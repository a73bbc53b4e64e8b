"""`python -m stars_dist` is `stars-dist`."""

import sys

from stars_dist.cli import main

sys.argv[0] = "stars-dist"  # which is also what provenance.json is to say
if __name__ == "__main__":
    main()
