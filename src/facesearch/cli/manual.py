"""What the help says besides options: commands by task, examples, exit codes."""

from __future__ import annotations

from collections.abc import Mapping

from facesearch.cli.settings import ANYWHERE

SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Search": {
        "index": "Find every face in folders of photos, once.",
        "query": "Find the photos nearest to a face.",
        "verify": "Say whether two photos show one person.",
        "faces": "Show the faces on photos.",
        "serve": "Search in the browser, and over HTTP.",
    },
    "Store": {
        "info": "Say what a store holds.",
        "roots": "List, move or drop the folders of a store.",
        "label": "Say who is on which photo.",
        "export": "Write a row for each face.",
        "merge": "Make one store of several.",
        "split": "Make several stores of one.",
        "push": "Bring a store into a search engine.",
        "pull": "Bring a gallery in a search engine into a store.",
    },
    "Keep safe": {
        "check": "Look for damage.",
        "repair": "Keep what is sound of a damaged store.",
        "forget": "Take photos or faces out for good.",
        "encrypt": "Put a store under a passphrase.",
    },
    "Models and photos": {
        "models": "List, pull and verify the networks' weights.",
        "datasets": "List, pull and check photos to try it on.",
    },
    "Evaluate": {
        "eval": "Measure how well people are found.",
        "train": "Train the network of the second course report.",
    },
    "On your machine": {
        "doctor": "Say what works here, and what to do about the rest.",
        "completion": "Print the script that completes words in your shell.",
    },
}
"""Task -> command -> what it does, in a line."""

_EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "index": (
        "facesearch index ~/Pictures",
        "facesearch index ~/Pictures --exclude '*/screenshots/*' --dry-run",
        "facesearch index",
    ),
    "query": (
        "facesearch query grandma.jpg -k 25",
        "facesearch query family.jpg --face 2 --contact-sheet sheet.png",
        "facesearch query grandma.jpg --fmr 1e-4 --html answer.html",
        "facesearch query grandma.jpg --format paths0 | xargs -0 ls -l",
    ),
    "serve": (
        "facesearch serve --open",
        "facesearch serve faces.npz --port 8000 --allow-index ~/Pictures",
    ),
    "verify": (
        "facesearch verify passport.jpg selfie.jpg",
        "facesearch verify passport.jpg family.jpg --face-b 2",
        "facesearch verify passport.jpg selfie.jpg --fmr 1e-4 --json",
    ),
    "faces": (
        "facesearch faces family.jpg",
        "facesearch faces family.jpg --draw numbered.png",
        "facesearch faces ~/Pictures/2019 --crops faces --json",
    ),
    "eval": (
        "facesearch eval people --all-identities",
        "facesearch eval lfw --pairs --system all --report report",
        "facesearch eval --redraw report/results.json",
    ),
    "train": (
        "facesearch train small-cnn people --dry-run",
        "facesearch train small-cnn lfw --people 250",
    ),
    "info": ("facesearch info", "facesearch info family.npz --json"),
    "export": (
        "facesearch export --csv -o faces.csv",
        "facesearch export --ndjson --embeddings | head",
    ),
    "check": ("facesearch check", "facesearch check family.npz --deep"),
    "doctor": ("facesearch doctor", "facesearch doctor --store family.npz --json"),
    "completion": (
        "facesearch completion bash >> ~/.bash_completion",
        "facesearch completion zsh > ~/.zfunc/_facesearch",
        "facesearch completion fish > ~/.config/fish/completions/facesearch.fish",
    ),
    "repair": ("facesearch repair --dry-run", "facesearch repair family.npz"),
    "push": ("facesearch push faces.npz milvus+http://localhost:19530/family",),
    "pull": ("facesearch pull milvus+http://localhost:19530/family copy.npz",),
    "roots": ("facesearch roots", "facesearch roots move ~/Pictures /media/disk/Pictures"),
    "roots list": ("facesearch roots list --json",),
    "roots move": ("facesearch roots move ~/Pictures /media/disk/Pictures",),
    "roots drop": ("facesearch roots drop ~/Pictures/old",),
    "label": ("facesearch label labels.csv", "facesearch label --forget"),
    "forget": (
        "facesearch forget ~/Pictures/party",
        "facesearch forget --like me.jpg --max-distance 0.8 --dry-run",
        "facesearch forget --allow ~/Pictures/party",
    ),
    "encrypt": (
        "facesearch encrypt",
        "facesearch encrypt family.npz --change",
        "facesearch encrypt family.npz --off",
    ),
    "merge": ("facesearch merge mine.npz yours.npz -o all.npz",),
    "split": (
        "facesearch split --under ~/Pictures/2019 -o 2019.npz",
        "facesearch split faces.npz --parts 4 -o part.npz",
    ),
    "models": ("facesearch models list", "facesearch models pull facenet-128"),
    "models list": ("facesearch models list --json",),
    "models pull": (
        "facesearch models pull",
        "facesearch models pull facenet-512 --from facenet_512.h5",
    ),
    "models verify": ("facesearch models verify", "facesearch models verify facenet-128"),
    "datasets": ("facesearch datasets pull samples --to samples",),
    "datasets list": ("facesearch datasets list",),
    "datasets pull": (
        "facesearch datasets pull samples --to samples",
        "facesearch datasets pull lfw",
    ),
    "datasets check": ("facesearch datasets check lfw --as lfw",),
}

_EXIT_CODES: Mapping[str, str] = {
    "index": "0 done; 1 failed, nothing could be read, or with --strict any photo failed",
    "query": (
        "0 done; 1 failed, no photo could be read, or not all could be copied; "
        "3 no face on any photo"
    ),
    "verify": "0 the same person; 4 different people; 3 no face on one of them; 1 failed",
    "faces": "0 done; 1 failed or no photo could be read; 3 no face on any photo",
    "eval": "0 done; 1 failed, or no system could be measured",
    "check": "0 sound; 1 damaged, or failed",
    "doctor": "0 all that is needed works; 1 something is broken",
    "repair": "0 the store is sound; 1 failed, or nobody agreed",
    "datasets check": "0 complete; 1 something is missing",
    "models verify": "0 all right; 1 damaged or missing",
}
_OTHERWISE = "0 done; 1 failed"
_ALWAYS = "2 wrong usage; 130 interrupted"


def epilog(path: tuple[str, ...], variable: str) -> str:
    """What follows the options in the help of a command.

    Args:
        path: its name, a word each.
        variable: that of one of its options, "" where it has none.
    """
    name = " ".join(path)
    examples = "\n".join(f"  {line}" for line in _EXAMPLES.get(name, ()))
    parts = [f"\b\nExamples:\n{examples}"] if examples else []
    parts.append(f"Exit codes: {_EXIT_CODES.get(name, _OTHERWISE)}; {_ALWAYS}.")
    if variable:
        file = ", and many from a file, facesearch.toml" if path[0] in ANYWHERE else ""
        parts.append(f"Options may come from the environment too, as {variable}{file}.")
    return "\n\n".join(parts)


def summary(command: str) -> str:
    """What a command does, in a line."""
    return next(lines[command] for lines in SECTIONS.values() if command in lines)
