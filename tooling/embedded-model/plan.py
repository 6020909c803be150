"""How the 16 MB are spent: bits of each matrix (8 or 6), and how many words get 6 bits instead of 4."""

MAX_FOLDER_BYTES = 16_000_000
FREQUENT_WORDS = 4_700
MATRIX_BITS = (
    '8 bits for the value projections and the last attention output, to which the result is most sensitive, and 6 bits '
    'for all others'
)


def matrix_plan(name: str) -> int:
    """Bits of a matrix, as MATRIX_BITS says it."""
    sensitive = '.self.value' in name or name == 'encoder.layer.5.attention.output.dense'
    return 8 if sensitive else 6
