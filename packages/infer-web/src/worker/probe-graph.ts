/** `y = x · w + b`, as of `@x/infer-node`: small whole numbers, whose products are the same in any precision. In base64. */
export const PROBE_GRAPH: string = [
  'CAgSGGlwZnMtYWNjZWxlcmF0ZSBmaXh0dXJlczrPAQobCgF4CgF3EgJ4dxoHeHdfbm9kZSIGTWF0TXVsChcKAnh3CgFiEgF5GgZ5X25vZGUiA0',
  'FkZBIFZ3JhcGgqSwgECAQQAUIBd0pAAACAPwAAAAAAAABAAACAvwAAAAAAAIA/AAAAwAAAQEAAAABAAACAvwAAAAAAAIA/AACAPwAAgD8AAIA/',
  'AAAAACoZCAQQAUIBYkoQAACAPwAAAEAAAEBAAACAQFoTCgF4Eg4KDAgBEggKAggCCgIIBGITCgF5Eg4KDAgBEggKAggCCgIIBEIECgAQEQ==',
].join('')

export const PROBE_INPUT: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 8]
export const PROBE_DIMS: readonly number[] = [2, 4]
export const PROBE_OUTPUT: readonly number[] = [12, 5, 5, 12, 28, 9, 9, 24]
