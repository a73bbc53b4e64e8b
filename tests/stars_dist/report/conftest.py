"""The command line in this process, as the tests of the commands run it."""

from tests.stars_dist.commands.conftest import stars_dist

__all__ = ["stars_dist"]
