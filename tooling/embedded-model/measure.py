"""The two figures of the quality gate, from embeddings."""

import base64
import json
from dataclasses import dataclass

import numpy as np

from gate import QUALITY, load_pairs, load_triples
from original import WEIGHTS_SHA256


@dataclass(frozen=True)
class Figures:
    mean_cosine: float
    min_cosine: float
    triples_right: int
    triples_right_original: int
    plain_right: int
    plain_right_original: int


def load_reference() -> np.ndarray:
    document = json.loads((QUALITY / 'reference.json').read_text(encoding='utf-8'))
    assert document['weightsSha256'] == WEIGHTS_SHA256
    flat = np.frombuffer(base64.b64decode(document['embeddings']), '<f4')
    return flat.reshape(document['count'], document['dimensions'])


def triples_right(embeddings: np.ndarray) -> int:
    anchor, paraphrase, distractor = embeddings.reshape(-1, 3, embeddings.shape[1]).transpose(1, 0, 2)
    return int(((anchor * paraphrase).sum(axis=1) > (anchor * distractor).sum(axis=1)).sum())


def compare(embeddings: np.ndarray, reference: np.ndarray) -> Figures:
    """Both [sentences of the gate, 384], rows of length 1."""
    pairs = 2 * len(load_pairs())
    triples = pairs + 3 * len(load_triples())
    cosine = (embeddings.astype(np.float64) * reference).sum(axis=1)
    return Figures(
        mean_cosine=float(cosine[:pairs].mean()),
        min_cosine=float(cosine[:pairs].min()),
        triples_right=triples_right(embeddings[pairs:triples]),
        triples_right_original=triples_right(reference[pairs:triples]),
        plain_right=triples_right(embeddings[triples:]),
        plain_right_original=triples_right(reference[triples:]),
    )
