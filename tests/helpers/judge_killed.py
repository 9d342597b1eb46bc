"""Send COUNT texts to a judge, and kill this process with SIGKILL when ANSWERED have a verdict.

Arguments: URL FOLDER COUNT ANSWERED
"""

import os
import signal
import sys
import threading
from pathlib import Path

from harken.config import EndpointConfig, JudgeConfig
from harken.judges import open_judge
from harken.types import Question

QUESTION = Question("q", "Which animal is heard?", ("a dog", "a cat"), 1, None)


def main(url: str, folder: str, count: str, answered: str) -> None:
    endpoint = EndpointConfig(base_url=url, model="m", api="completion", concurrency=4)
    judge = open_judge(JudgeConfig(endpoint=endpoint), Path(folder))
    done = threading.Semaphore(0)
    for n in range(int(count)):
        judge.submit("quality", QUESTION, f"reasoning {n}", "").add_done_callback(lambda _: done.release())
    for _ in range(int(answered)):
        done.acquire()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
