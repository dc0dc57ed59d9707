"""Models by name: `owner/name`, or `owner/name@revision`, of the Hugging Face hub, through its own library."""

import json
import re
from pathlib import Path

from electra_tf.errors import InputError

_NAME = re.compile(r"(?P<repository>[\w-]+(\.[\w-]+)*/[\w-]+(\.[\w-]+)*)(@(?P<revision>[\w./-]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_VOCABULARIES = ["vocab.txt", "*.model", "tokenizer.json"]
_BESIDE = ["config.json", *_VOCABULARIES, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"]
# Weights in the order they are preferred: what is no pickle first.
_WEIGHTS = (("model.safetensors", "model*.safetensors*"), ("tf_model.h5", "tf_model*.h5*"))
_WEIGHTS += (("pytorch_model.bin", "pytorch_model*.bin*"),)


def is_name(path) -> bool:
    """Whether this is a model's name, and no path of this machine."""
    return bool(_NAME.fullmatch(str(path))) and not (Path(path).exists() or Path(f"{path}.index").exists())


def located(path) -> Path:
    """A path of this machine as it is; a model of the hub as the folder that it is in, downloaded where it is not yet.

    What the hub's library obeys holds: `HF_HOME` (its cache), `HF_HUB_OFFLINE`, `HF_TOKEN`, `HF_ENDPOINT`. Nothing is
    asked where the cache has all of the commit that is named; a branch or tag is taken from the cache where the hub
    says that this is the newest, or does not answer. Only the configuration, the tokenizer's files and one form of the
    weights are downloaded.

    Raises: `InputError` without a network and a copy, and for a model that is not there or may not be read.
    """
    if not is_name(path):
        return Path(path)
    named = _NAME.fullmatch(str(path))
    return Path(_download(named["repository"], named["revision"]))


def _download(repository, revision):
    import huggingface_hub
    import requests
    from huggingface_hub import errors
    from huggingface_hub.utils import validate_repo_id

    def problem(found, expected, remedy):
        where = f"{repository}@{revision}" if revision else repository
        return InputError(found, where=where, expected=expected, remedy=remedy)

    try:
        validate_repo_id(repository)
        if _COMMIT.fullmatch(revision or "") and (folder := _in_cache(repository, revision, vocabulary=True)):
            return folder
        try:
            files = huggingface_hub.HfApi().model_info(repository, revision=revision).siblings
        except (errors.OfflineModeIsEnabled, requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
            if folder := _in_cache(repository, revision):
                return folder
            raise problem(
                "there is no such file or folder, and the hub cannot be reached for a model of this name",
                "a network, or a whole copy in the hub's cache",
                f"where there is a network: hf download {repository}; or unset HF_HUB_OFFLINE",
            ) from error
        except errors.HfHubHTTPError as error:
            silent = error.response is not None and error.response.status_code >= 500
            if silent and (folder := _in_cache(repository, revision)):
                return folder
            raise
        patterns = _patterns([file.rfilename for file in files])
        if not patterns:
            known = " or ".join(name for name, _ in _WEIGHTS)
            raise problem("the model has no weights that can be read", f"{known} among its files", "name another model")
        return huggingface_hub.snapshot_download(repository, revision=revision, allow_patterns=patterns)
    except errors.GatedRepoError as error:
        raise problem(
            "the model may not be read without permission",
            "a token of an account that has it",
            "ask for it on the model's page, then run `hf auth login`, or set HF_TOKEN",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise problem(
            f"the model has no revision {revision!r}",
            "a branch, a tag or a commit behind the @",
            "name one that its page has",
        ) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise problem(
            "there is no such file or folder, and no such model on the hub (or it is a private one)",
            "a path of this machine, or a model's name such as google/electra-small-discriminator",
            "check the name; for a private model run `hf auth login`, or set HF_TOKEN",
        ) from error
    except (errors.HfHubHTTPError, requests.exceptions.RequestException, OSError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise problem(
            f"the download was cut or refused: {said}",
            "a network that holds; what has come so far is kept",
            "run the same command again",
        ) from error


def _in_cache(repository, revision, vocabulary=False):
    """A whole copy, or None; `vocabulary`: only one with a tokenizer's file, as other programs may have left it out."""
    import huggingface_hub

    try:
        folder = Path(huggingface_hub.snapshot_download(repository, revision=revision, local_files_only=True))
    except huggingface_hub.errors.LocalEntryNotFoundError:
        return None
    there = {file.name for file in folder.iterdir()}
    maps = [json.loads(index.read_text())["weight_map"] for index in folder.glob("*.index.json")]
    shards = {name for one in maps for name in one.values()}
    words = not vocabulary or any(Path(name).match(one) for name in there for one in _VOCABULARIES)
    return folder if "config.json" in there and words and _patterns(there) and shards <= there else None


def _patterns(files):
    """What is downloaded; none where there are no weights."""
    files = list(files)
    for _, pattern in _WEIGHTS:
        if any(Path(file).match(pattern) and "/" not in file for file in files):
            return [*_BESIDE, pattern]
    return []
