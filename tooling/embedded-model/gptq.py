"""
Error-compensating rounding (GPTQ, https://arxiv.org/abs/2210.17323) of one matrix to small integers.

Everything is float64 and sequential per row, so the result does not depend on the number of threads.
"""

from dataclasses import dataclass

import numpy as np

# Candidates for column factors: powers of a column's size and of the strength of its input.
SIZE_POWERS = (0.0, 0.3, 0.6, 0.9)
STRENGTH_POWERS = (0.0, -0.1, -0.2, -0.3)
# Fractions of a row's largest value that are tried as its quantisation range.
CLIPS = tuple(float(clip) for clip in np.arange(100, 48, -2) / 100)


@dataclass(frozen=True)
class Rounded:
    """value = code * scale * factor, one scale per row and one factor per column."""

    bits: int
    codes: np.ndarray  # int8 [rows, columns], from -2^(bits - 1) up to 2^(bits - 1) - 1
    scales: np.ndarray  # float32 [rows]
    factors: np.ndarray  # float32 [columns]

    def values(self) -> np.ndarray:
        return self.codes.astype(np.float32) * self.scales[:, None] * self.factors


def round_to(values: np.ndarray, scale: np.ndarray, bits: int) -> np.ndarray:
    half = 2 ** (bits - 1)
    return np.clip(np.rint(values / scale), -half, half - 1)


def fit_scales(matrix: np.ndarray, importance: np.ndarray, bits: int) -> tuple[np.ndarray, float]:
    """The scale of each row, float32, of all CLIPS the one with the least weighted squared error; and that error."""
    largest = np.abs(matrix).max(axis=1)
    best = np.full(len(matrix), np.inf)
    scales = np.ones(len(matrix), np.float32)
    for clip in CLIPS:
        scale = (largest * clip / (2 ** (bits - 1) - 0.5)).astype(np.float32)
        step = scale.astype(np.float64)[:, None]
        error = (np.square(round_to(matrix, step, bits) * step - matrix) * importance).sum(axis=1)
        better = error < best
        best = np.where(better, error, best)
        scales = np.where(better, scale, scales)
    return scales, float(best.sum())


def fit_factors(matrix: np.ndarray, hessian: np.ndarray, bits: int) -> np.ndarray:
    """
    Factors of the columns, float32. Dividing large columns by them narrows the range of the rows; multiplying columns
    with strong inputs makes their steps finer.
    """
    matrix = matrix.astype(np.float64)
    strength = np.sqrt(np.diag(hessian)) + 1e-9
    size = np.sqrt(np.square(matrix).mean(axis=0)) + 1e-9
    best, factors = np.inf, np.ones(matrix.shape[1], np.float32)
    for size_power in SIZE_POWERS:
        for strength_power in STRENGTH_POWERS:
            tried = (size / size.mean()) ** size_power * (strength / strength.mean()) ** strength_power
            tried = np.clip(tried, 1 / 16, 16).astype(np.float32)
            _, error = fit_scales(matrix / tried, np.square(strength * tried), bits)
            if error < best:
                best, factors = error, tried
    return factors


def inverse_factor(hessian: np.ndarray) -> np.ndarray:
    """Upper U with U^T U = hessian^-1."""
    return np.linalg.cholesky(np.linalg.inv(hessian)).T


def quantise(
    matrix: np.ndarray, hessian: np.ndarray, factors: np.ndarray, bits: int, damping: float = 0.01
) -> Rounded:
    """matrix: [rows, columns]; hessian: second moments of the inputs, [columns, columns]; factors: [columns]."""
    rows, columns = matrix.shape
    wide = factors.astype(np.float64)
    hessian = hessian * np.outer(wide, wide)
    hessian = hessian + np.eye(columns) * damping * np.diag(hessian).mean()
    importance = np.diag(hessian)
    matrix = matrix / wide
    scales, _ = fit_scales(matrix, importance, bits)
    step = scales.astype(np.float64)

    # The columns with the strongest inputs are rounded first, while there are still columns that can make up for them.
    order = np.argsort(-importance, kind='stable')
    rest = matrix[:, order]
    factor = inverse_factor(hessian[np.ix_(order, order)])
    codes = np.zeros((rows, columns))
    batch = 64
    for start in range(0, columns, batch):
        stop = min(start + batch, columns)
        errors = np.zeros((rows, stop - start))
        for column in range(start, stop):
            codes[:, column] = round_to(rest[:, column], step, bits)
            errors[:, column - start] = (rest[:, column] - codes[:, column] * step) / factor[column, column]
            rest[:, column + 1 : stop] -= np.outer(errors[:, column - start], factor[column, column + 1 : stop])
        rest[:, stop:] -= errors @ factor[start:stop, stop:]
    unordered = np.zeros((rows, columns), np.int8)
    unordered[:, order] = codes.astype(np.int8)
    return Rounded(bits, unordered, scales, factors)
