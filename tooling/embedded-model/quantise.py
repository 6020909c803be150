"""
Quantises the 36 matrices of the encoder, layer by layer. Each is fitted to the outputs of the original on the inputs that
it will really get, which carry the errors of everything quantised before it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from encoder import LAYERS, attend, embed, gelu, group_by_length, layer_matrices, layer_norm, plain_linear
from gptq import Blocks, quantise

# name of a matrix -> (bits, block)
Plan = Callable[[str], tuple[int, int]]

# How strongly a matrix is kept at its original values where the calibration text says little.
RIDGE = 0.05


@dataclass
class Statistics:
    """Second moments of the inputs, and of the original's inputs with them; means for the bias."""

    hessian: np.ndarray
    cross: np.ndarray
    mean: np.ndarray
    mean_original: np.ndarray


def gather_statistics(inputs: list[np.ndarray], originals: list[np.ndarray]) -> Statistics:
    width = inputs[0].shape[-1]
    hessian, cross = np.zeros((width, width)), np.zeros((width, width))
    total, total_original, count = np.zeros(width), np.zeros(width), 0
    for x, y in zip(inputs, originals, strict=True):
        x = x.reshape(-1, width).astype(np.float64)
        y = y.reshape(-1, width).astype(np.float64)
        hessian += x.T @ x
        cross += y.T @ x
        total += x.sum(axis=0)
        total_original += y.sum(axis=0)
        count += len(x)
    return Statistics(hessian / count, cross / count, total / count, total_original / count)


def fit(matrix: np.ndarray, bias: np.ndarray, stats: Statistics, bits: int, block: int) -> tuple[Blocks, np.ndarray]:
    """The rounded matrix, and a bias that leaves the mean output as it was."""
    width = matrix.shape[1]
    damped = stats.hessian + np.eye(width) * RIDGE * np.diag(stats.hessian).mean()
    # Least squares: the matrix that best maps the inputs as they are to the outputs of the original.
    matrix = matrix.astype(np.float64)
    target = matrix + np.linalg.solve(damped, (matrix @ (stats.cross - stats.hessian)).T).T
    blocks = quantise(target, stats.hessian, bits, block)
    shift = matrix @ stats.mean_original - blocks.values().astype(np.float64) @ stats.mean
    return blocks, (bias + shift).astype(np.float32)


@dataclass
class Quantised:
    matrices: dict[str, Blocks]
    weights: dict[str, np.ndarray]  # all tensors, with quantised values and fitted biases


def quantise_encoder(
    original: dict[str, np.ndarray], embeddings: dict[str, np.ndarray], sequences: list[list[int]], plan: Plan
) -> Quantised:
    """embeddings: the tensors of the embedding layer that differ from the original's."""
    weights = {**original, **embeddings}
    matrices: dict[str, Blocks] = {}
    groups = [ids for _, ids in group_by_length(sequences)]
    x_original = [embed(original, ids) for ids in groups]
    x = [embed(weights, ids) for ids in groups]
    linear_original, linear = plain_linear(original), plain_linear(weights)

    def fit_all(names: list[str], inputs: list[np.ndarray], originals: list[np.ndarray]) -> None:
        stats = gather_statistics(inputs, originals)
        for name in names:
            bits, block = plan(name)
            matrices[name], weights[f'{name}.bias'] = fit(
                original[f'{name}.weight'], original[f'{name}.bias'], stats, bits, block
            )
            weights[f'{name}.weight'] = matrices[name].values()

    def each(run: Callable[..., np.ndarray], *columns: list[np.ndarray]) -> list[np.ndarray]:
        return [run(*row) for row in zip(*columns, strict=True)]

    for layer in range(LAYERS):
        names = layer_matrices(layer)
        prefix = f'encoder.layer.{layer}'

        def attention(run_linear):
            return lambda x: attend(*(run_linear(names[part], x) for part in ('query', 'key', 'value')))

        def residual(run_linear, tensors, part, norm):
            return lambda x, y: layer_norm(x + run_linear(names[part], y), tensors, f'{prefix}.{norm}')

        fit_all([names['query'], names['key'], names['value']], x, x_original)
        y_original, y = each(attention(linear_original), x_original), each(attention(linear), x)
        fit_all([names['attention']], y, y_original)
        norm = 'attention.output.LayerNorm'
        x_original = each(residual(linear_original, original, 'attention', norm), x_original, y_original)
        x = each(residual(linear, weights, 'attention', norm), x, y)
        fit_all([names['up']], x, x_original)
        y_original = each(lambda x: gelu(linear_original(names['up'], x)), x_original)
        y = each(lambda x: gelu(linear(names['up'], x)), x)
        fit_all([names['down']], y, y_original)
        norm = 'output.LayerNorm'
        x_original = each(residual(linear_original, original, 'down', norm), x_original, y_original)
        x = each(residual(linear, weights, 'down', norm), x, y)
    return Quantised(matrices, weights)
