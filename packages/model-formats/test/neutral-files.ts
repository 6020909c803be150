import { gguf, info } from './gguf.ts'
import { MODELS } from './models.ts'
import { safetensors } from './safetensors.ts'

/** A file of each format, with the CID of its table without digests: the same on every platform. */
export const NEUTRAL_FILES: readonly { path: string; bytes: Uint8Array; cid: string }[] = [
  {
    path: 'm.onnx',
    bytes: MODELS['raw_data']?.() ?? new Uint8Array(),
    cid: 'bafyreihmdi3ohrmkgwf6ujngpcdtknovblrbydbvcg7i7c4v6ua7j6ev2q',
  },
  {
    path: 'm.safetensors',
    bytes: safetensors({ w: { dtype: 'F32', shape: [2], data_offsets: [0, 8] } }, new Uint8Array(8)),
    cid: 'bafyreidfowj27iwrcdy7tgcw3y2hzfbjqtp6uvapieiqgi2llw7ohxqvge',
  },
  {
    path: 'm.gguf',
    bytes: gguf({ infos: [info({ name: 'w', dims: [2], type: 0, offset: 0 })], data: new Uint8Array(8) }),
    cid: 'bafyreifgisulqblpysr4n7l544a2p2cvqr74kpcmu64ggy5yc774dncfja',
  },
]
