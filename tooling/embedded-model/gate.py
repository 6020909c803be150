"""The sentences of the quality gate, in the order in which their embeddings are recorded."""

import json
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / 'packages' / 'embedded-model'
QUALITY = PACKAGE / 'quality'
MODEL = PACKAGE / 'model'


def load_pairs() -> list[dict[str, str]]:
    return json.loads((QUALITY / 'pairs.json').read_text(encoding='utf-8'))


def load_triples() -> list[dict[str, str]]:
    return json.loads((QUALITY / 'triples.json').read_text(encoding='utf-8'))


def load_plain_triples() -> list[dict[str, str]]:
    return json.loads((QUALITY / 'triples-plain.json').read_text(encoding='utf-8'))


def gate_sentences() -> list[str]:
    """a and b of every pair, then anchor, paraphrase and distractor of every triple, the plain ones last."""
    triples = load_triples() + load_plain_triples()
    sentences = [pair[key] for pair in load_pairs() for key in ('a', 'b')]
    return sentences + [triple[key] for triple in triples for key in ('anchor', 'paraphrase', 'distractor')]
