"""The original's forward pass in NumPy, fp32, on sentences of equal length at a time, so that nothing is padded."""

from collections.abc import Callable, Iterable

import numpy as np
from scipy.special import erf

LAYERS = 6
HEADS = 12
WIDTH = 384
HEAD_WIDTH = WIDTH // HEADS
EPSILON = 1e-12

# name, input -> output; the name is that of the matrix without '.weight'.
Linear = Callable[[str, np.ndarray], np.ndarray]


def layer_matrices(layer: int) -> dict[str, str]:
    prefix = f'encoder.layer.{layer}'
    return {
        'query': f'{prefix}.attention.self.query',
        'key': f'{prefix}.attention.self.key',
        'value': f'{prefix}.attention.self.value',
        'attention': f'{prefix}.attention.output.dense',
        'up': f'{prefix}.intermediate.dense',
        'down': f'{prefix}.output.dense',
    }


def matrix_names() -> list[str]:
    return [name for layer in range(LAYERS) for name in layer_matrices(layer).values()]


def layer_norm(x: np.ndarray, weights: dict[str, np.ndarray], name: str) -> np.ndarray:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + np.float32(EPSILON)) * weights[f'{name}.weight'] + weights[f'{name}.bias']


def gelu(x: np.ndarray) -> np.ndarray:
    return x * np.float32(0.5) * (np.float32(1) + erf(x * np.float32(np.sqrt(0.5))))


def softmax(x: np.ndarray) -> np.ndarray:
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def embed(weights: dict[str, np.ndarray], ids: np.ndarray) -> np.ndarray:
    """ids: [batch, length], all tokens real, token type 0."""
    x = weights['embeddings.word_embeddings.weight'][ids]
    x = x + weights['embeddings.position_embeddings.weight'][: ids.shape[1]]
    x = x + weights['embeddings.token_type_embeddings.weight'][0]
    return layer_norm(x, weights, 'embeddings.LayerNorm')


def attend(query: np.ndarray, key: np.ndarray, value: np.ndarray) -> np.ndarray:
    batch, length, _ = query.shape
    query, key, value = (
        tensor.reshape(batch, length, HEADS, HEAD_WIDTH).transpose(0, 2, 1, 3) for tensor in (query, key, value)
    )
    scores = softmax(query @ key.transpose(0, 1, 3, 2) / np.float32(np.sqrt(HEAD_WIDTH)))
    return (scores @ value).transpose(0, 2, 1, 3).reshape(batch, length, WIDTH)


def plain_linear(weights: dict[str, np.ndarray]) -> Linear:
    return lambda name, x: x @ weights[f'{name}.weight'].T + weights[f'{name}.bias']


def run_layer(weights: dict[str, np.ndarray], layer: int, x: np.ndarray, linear: Linear) -> np.ndarray:
    names = layer_matrices(layer)
    prefix = f'encoder.layer.{layer}'
    attended = attend(linear(names['query'], x), linear(names['key'], x), linear(names['value'], x))
    x = layer_norm(x + linear(names['attention'], attended), weights, f'{prefix}.attention.output.LayerNorm')
    return layer_norm(x + linear(names['down'], gelu(linear(names['up'], x))), weights, f'{prefix}.output.LayerNorm')


def group_by_length(sequences: Iterable[list[int]]) -> list[tuple[list[int], np.ndarray]]:
    """(positions in the input, ids [batch, length]) for each length, shortest first."""
    groups: dict[int, list[int]] = {}
    sequences = list(sequences)
    for index, ids in enumerate(sequences):
        groups.setdefault(len(ids), []).append(index)
    return [(groups[n], np.array([sequences[i] for i in groups[n]])) for n in sorted(groups)]


def encode(weights: dict[str, np.ndarray], sequences: list[list[int]]) -> np.ndarray:
    """Sentence embeddings [count, 384]: mean of the last hidden state over all tokens, scaled to length 1."""
    embeddings = np.zeros((len(sequences), WIDTH), np.float32)
    linear = plain_linear(weights)
    for indices, ids in group_by_length(sequences):
        x = embed(weights, ids)
        for layer in range(LAYERS):
            x = run_layer(weights, layer, x, linear)
        embeddings[indices] = x.mean(axis=1)
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
