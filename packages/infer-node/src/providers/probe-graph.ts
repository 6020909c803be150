/**
 * `y = x · w + b`, an ONNX model of two operators that every execution provider has, with constants that are small whole
 * numbers: the answer is the same in any precision, so that it can be compared bit for bit. In base64; a test makes it anew.
 */
export const PROBE_GRAPH: string = [
  'CAgSGGlwZnMtYWNjZWxlcmF0ZSBmaXh0dXJlczrPAQobCgF4CgF3EgJ4dxoHeHdfbm9kZSIGTWF0TXVsChcKAnh3CgFiEgF5GgZ5X25vZGUiA0',
  'FkZBIFZ3JhcGgqSwgECAQQAUIBd0pAAACAPwAAAAAAAABAAACAvwAAAAAAAIA/AAAAwAAAQEAAAABAAACAvwAAAAAAAIA/AACAPwAAgD8AAIA/',
  'AAAAACoZCAQQAUIBYkoQAACAPwAAAEAAAEBAAACAQFoTCgF4Eg4KDAgBEggKAggCCgIIBGITCgF5Eg4KDAgBEggKAggCCgIIBEIECgAQEQ==',
].join('')

export const PROBE_INPUT: { dims: readonly [2, 4]; data: readonly number[] } = {
  dims: [2, 4],
  data: [1, 2, 3, 4, 5, 6, 7, 8],
}

export const PROBE_OUTPUT: readonly number[] = [12, 5, 5, 12, 28, 9, 9, 24]
