"""What huggingface_hub is asked to do against the server under test, as STEP=REPOSITORY; prints one line of JSON."""

import hashlib
import json
import os
import pathlib
import sys

import huggingface_hub
from huggingface_hub import HfApi, hf_hub_download, snapshot_download


def sha256(file):
    return hashlib.sha256(pathlib.Path(file).read_bytes()).hexdigest()


def tree_of(folder):
    folder = pathlib.Path(folder)
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


def error_name(call):
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "no error"


def download(repo):
    file = hf_hub_download(repo, "onnx/model.onnx")
    return {
        "file": sha256(file),
        "blob": pathlib.Path(file).resolve().name,
        "snapshot": tree_of(snapshot_download(repo)),
        "tag": pathlib.Path(snapshot_download(repo, revision="v1.0")).name,
        "pull request": json.loads(pathlib.Path(hf_hub_download(repo, "config.json", revision="refs/pr/1")).read_text()),
        "branch": json.loads(pathlib.Path(hf_hub_download(repo, "config.json", revision="feature/a")).read_text()),
        "part": sorted(tree_of(snapshot_download(repo, allow_patterns=["*.json"], local_dir="part"))),
    }


def offline(repo):
    return {
        "snapshot": tree_of(snapshot_download(repo)),
        "absent": error_name(lambda: hf_hub_download(repo, "no.json")),
    }


def errors(repo):
    api = HfApi()
    known_absent = error_name(lambda: hf_hub_download(repo, "no.json"))
    return {
        "file": known_absent,
        "repository": error_name(lambda: hf_hub_download("org/none", "config.json")),
        "revision": error_name(lambda: hf_hub_download(repo, "config.json", revision="v9")),
        "model": error_name(lambda: api.model_info("org/none")),
        "dataset": error_name(lambda: api.dataset_info("org/none")),
        "folder": error_name(lambda: list(api.list_repo_tree(repo, "none"))),
        "commit": error_name(lambda: api.create_branch(repo, branch="b", token="hf_x")),
        "exists": [api.file_exists(repo, "config.json"), api.file_exists(repo, "no.json")],
        "repositories": [api.repo_exists(repo), api.repo_exists("org/none"), api.revision_exists(repo, "v9")],
        "no_exist": sorted(path.name for path in pathlib.Path(huggingface_hub.constants.HF_HUB_CACHE).glob("*/.no_exist/*/*")),
    }


def listings(repo):
    api = HfApi()
    info = api.model_info(repo, files_metadata=True)
    refs = api.list_repo_refs(repo, include_pull_requests=True)
    folders = {entry.path: entry.tree_id for entry in api.list_repo_tree(repo, recursive=True) if hasattr(entry, "tree_id")}
    expanded = next(entry for entry in api.list_repo_tree(repo, "onnx", expand=True) if entry.path == "onnx/model.onnx")
    some = api.get_paths_info(repo, ["config.json", "onnx", "none"], expand=True)
    snapshot_download(repo)
    verified = api.verify_repo_checksums(repo)
    return {
        "id": info.id,
        "sha": info.sha,
        "siblings": {
            sibling.rfilename: [sibling.size, sibling.blob_id, sibling.lfs.sha256 if sibling.lfs else None]
            for sibling in info.siblings
        },
        "expand": [api.model_info(repo, expand=["sha"]).sha, api.model_info(repo, expand=["sha"]).siblings],
        "tree": [entry.path for entry in api.list_repo_tree(repo)],
        "recursive": [entry.path for entry in api.list_repo_tree(repo, recursive=True)],
        "below": [entry.path for entry in api.list_repo_tree(repo, "onnx/deep", recursive=True)],
        "folders": folders,
        "last commit": expanded.last_commit.oid,
        "paths": [entry.path for entry in some],
        "files": sorted(api.list_repo_files(repo)),
        "refs": [[ref.name, ref.ref] for refs_of in (refs.branches, refs.converts, refs.tags, refs.pull_requests) for ref in refs_of],
        "metadata": huggingface_hub.get_hf_file_metadata(huggingface_hub.hf_hub_url(repo, "onnx/model.onnx")).etag,
        "models": [model.id for model in api.list_models(search="sma", limit=10)],
        "all models": [model.id for model in api.list_models()],
        "auth": api.auth_check(repo),
        "verified": [verified.checked_count, verified.mismatches, verified.missing_paths],
        "range": list(huggingface_hub.HfFileSystem().cat_file(repo + "/onnx/model.onnx", start=5, end=9)),
        "glob": huggingface_hub.HfFileSystem().glob(repo + "/*.json"),
    }


def resume(repo):
    """The server breaks the first answer off in the middle."""
    return {"file": sha256(hf_hub_download(repo, "onnx/model.onnx"))}


def token(repo):
    endpoint = os.environ["TOKEN_ENDPOINT"]
    api = HfApi(endpoint=endpoint)
    return {
        "without": error_name(lambda: api.model_info(repo, token=False)),
        "wrong": error_name(lambda: api.model_info(repo, token="hf_wrong")),
        "right": api.model_info(repo, token="hf_right").id,
        "file": sha256(hf_hub_download(repo, "config.json", token="hf_right", endpoint=endpoint, cache_dir="other")),
        "who": api.whoami(token="hf_right")["name"],
        "nobody": error_name(lambda: api.whoami(token="hf_wrong")),
    }


def transformers(repo):
    from transformers import AutoConfig, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(repo)
    return {
        "type": AutoConfig.from_pretrained(repo).model_type,
        "ids": tokenizer("hello world")["input_ids"],
    }


STEPS = {step.__name__: step for step in (download, offline, errors, listings, resume, token, transformers)}
results = {"version": huggingface_hub.__version__}
for argument in sys.argv[1:]:
    name, repo = argument.split("=")
    results[name] = STEPS[name](repo)
print(json.dumps(results))
