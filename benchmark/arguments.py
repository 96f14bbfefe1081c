"""Values of command line arguments that several benchmarks take."""


def words(text: str) -> list[str]:
    """Return names that commas separate."""
    return text.split(',')


def option(text: str) -> tuple[str, float]:
    """Return the name and the value of name=value."""
    name, value = text.split('=')
    return name, float(value)
