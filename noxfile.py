"""The lanes, each in an environment of its own: ``nox -s tests``, ``nox -l`` lists them.

``.ci/run`` does all of them in one environment, from the wheel.
"""

import nox

nox.options.sessions = ["lint", "types", "tests"]


@nox.session
def lint(session: nox.Session) -> None:
    """Style: ruff's checks and its format."""
    session.install("ruff>=0.11")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types: mypy over the package."""
    session.install("-e", ".[dev]")
    session.run("mypy")


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """The everyday lane; arguments behind -- go to pytest."""
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def all_tests(session: nox.Session) -> None:
    """Every test, the slow ones included."""
    session.install("-e", ".[test]")
    session.run("pytest", "--all", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The pages, with all of their code run and warnings as errors."""
    session.install("-e", ".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "docs", "docs/_build")
