"""The program with the embedder of ``small_store`` in place of networks, for child processes."""

import os
import time

from facesearch import processing
from facesearch.cli.main import main
from small_store import ColorEmbedder


class SlowEmbedder(ColorEmbedder):
    """Says that it is at work, then takes its time, where a test asks for that."""

    def detect(self, photo):
        if os.environ.get("COLORS_SLOW"):
            os.write(2, b"at work\n")
            time.sleep(60)
        return super().detect(photo)


if __name__ == "__main__":
    processing.Pipeline = SlowEmbedder
    processing.make_ready = lambda *names: None
    main()
