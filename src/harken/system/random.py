"""Random numbers that depend on what they are for and on nothing else.

Every random choice of a run follows from its seed, the step, the id of the question and the number of the completion.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray


def uniforms(seed: int, step: int, question_id: str, g: int, n: int) -> NDArray[np.float64]:
    """[n] uniform numbers in [0, 1) for the tokens of one completion; a longer request begins with a shorter one.

    Philox with the key blake2b-128(seed, step, g, question id). The id comes last in the hashed text, so no two names
    read the same.
    """
    name = f"{seed},{step},{g},{question_id}".encode(errors="surrogatepass")
    key = np.frombuffer(hashlib.blake2b(name, digest_size=16).digest(), dtype="<u8")
    return np.random.Generator(np.random.Philox(key=key)).random(n)
