"""Random numbers that follow from the seed, the step, the question's id and the number of the completion alone.

So a resumed run, another batch size or another number of ranks draws the same numbers.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray


def uniforms(seed: int, step: int, question_id: str, g: int, n: int) -> NDArray[np.float64]:
    """Draw [n] uniform numbers in [0, 1) for the tokens of completion `g`; fewer numbers are the first of more.

    The generator is Philox with the key blake2b-128("seed,step,g,question id"). The id comes last, so that different
    arguments never give the same text.
    """
    name = f"{seed},{step},{g},{question_id}".encode(errors="surrogatepass")
    key = np.frombuffer(hashlib.blake2b(name, digest_size=16).digest(), dtype="<u8")
    return np.random.Generator(np.random.Philox(key=key)).random(n)
