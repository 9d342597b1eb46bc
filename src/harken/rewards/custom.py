"""Imports a reward function that a user wrote and checks every value it returns.

A recipe names it as `module:function`. The function is called once per completion with a `Response` and returns a
finite number; its constants belong in its module, because the recipe passes it no options.
"""

import math
from collections.abc import Callable

from harken.errors import ConfigError, HarkenError, raised
from harken.system.import_object import import_object
from harken.types import Response

CustomReward = Callable[[Response], float]


def load_custom(name: str) -> CustomReward:
    """Import `module:function`; the module must be installed or on PYTHONPATH.

    The returned function raises HarkenError whenever the user's function raises or returns anything but a
    finite number. Raises ConfigError where there is no such module or function.
    """
    function = import_object(name, "reward.parts")
    if not callable(function):
        raise ConfigError(f"reward.parts: {name}: is no function but {type(function).__name__}")

    def checked(response: Response) -> float:
        try:
            value = function(response)
        except Exception as error:
            place = response.question.source or response.question.id
            raise HarkenError(f"reward.parts: {name}: raised {raised(error)}, for the question {place}") from error
        if isinstance(value, bool | int | float) and math.isfinite(value):
            return float(value)
        raise HarkenError(
            f"reward.parts: {name}: returned {value!r}; a reward must be a finite number, so correct the function"
        )

    return checked
