"""
Quantises the 36 matrices of the encoder, layer by layer. Each is rounded for the inputs that it will really get, which
carry the errors of everything quantised before it; its bias then takes up the mean of those errors.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from encoder import LAYERS, attend, embed, gelu, group_by_length, layer_matrices, layer_norm, plain_linear
from gptq import Rounded, fit_factors, quantise

# name of a matrix -> bits
Plan = Callable[[str], int]


@dataclass
class Statistics:
    """Second moments and means of a matrix's inputs, and the means of what the original's matrix gets."""

    hessian: np.ndarray
    mean: np.ndarray
    mean_original: np.ndarray


def gather_statistics(inputs: list[np.ndarray], originals: list[np.ndarray]) -> Statistics:
    width = inputs[0].shape[-1]
    hessian = np.zeros((width, width))
    total, total_original, count = np.zeros(width), np.zeros(width), 0
    for x, y in zip(inputs, originals, strict=True):
        x = x.reshape(-1, width).astype(np.float64)
        y = y.reshape(-1, width).astype(np.float64)
        hessian += x.T @ x
        total += x.sum(axis=0)
        total_original += y.sum(axis=0)
        count += len(x)
    return Statistics(hessian / count, total / count, total_original / count)


def fit(
    matrix: np.ndarray, bias: np.ndarray, stats: Statistics, factors: np.ndarray, bits: int
) -> tuple[Rounded, np.ndarray]:
    """The rounded matrix, and a bias that leaves the mean output as it was."""
    matrix = matrix.astype(np.float64)
    rounded = quantise(matrix, stats.hessian, factors, bits)
    shift = matrix @ stats.mean_original - rounded.values().astype(np.float64) @ stats.mean
    return rounded, (bias + shift).astype(np.float32)


@dataclass
class Quantised:
    matrices: dict[str, Rounded]
    weights: dict[str, np.ndarray]  # all tensors, with quantised values and fitted biases


def quantise_encoder(
    original: dict[str, np.ndarray], embeddings: dict[str, np.ndarray], sequences: list[list[int]], plan: Plan
) -> Quantised:
    """embeddings: the tensors of the embedding layer that differ from the original's."""
    weights = {**original, **embeddings}
    matrices: dict[str, Rounded] = {}
    groups = [ids for _, ids in group_by_length(sequences)]
    x_original = [embed(original, ids) for ids in groups]
    x = [embed(weights, ids) for ids in groups]
    linear_original, linear = plain_linear(original), plain_linear(weights)

    def fit_all(names: list[str], inputs: list[np.ndarray], originals: list[np.ndarray]) -> None:
        stats = gather_statistics(inputs, originals)
        # Matrices with the same input share their column factors, which are applied to that input.
        together = np.concatenate([original[f'{name}.weight'] for name in names])
        factors = fit_factors(together, stats.hessian, min(plan(name) for name in names))
        for name in names:
            matrices[name], weights[f'{name}.bias'] = fit(
                original[f'{name}.weight'], original[f'{name}.bias'], stats, factors, plan(name)
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
