import { CID } from '@x/cid'

/** A model that the server of this page serves. */
export interface ServedModel {
  name: string
  cid: string
  tasks: readonly string[]
}

/** @throws {TypeError} It is no list of models by CID. */
export function readModels(answer: unknown): ServedModel[] {
  const data: unknown = Object(answer).data
  if (!Array.isArray(data)) throw new TypeError('what it answered is no list of models')
  return data.flatMap((item: unknown) => {
    const { id, cid, tasks } = Object(item)
    // Of another make, without CIDs.
    if (typeof id !== 'string' || typeof cid !== 'string' || !isCid(cid)) return []
    const named = Array.isArray(tasks) ? tasks.filter((task: unknown) => typeof task === 'string') : []
    return [{ name: id, cid, tasks: named }]
  })
}

function isCid(text: string): boolean {
  try {
    CID.parse(text)
    return true
  } catch {
    // Whatever is wrong with it: nothing can be fetched by it.
    return false
  }
}
