import { addModel } from '@x/web'

import { directoryOf } from '../folder/folder-tree.ts'
import type { GivenFolder } from '../folder/given-folder.ts'
import { createRateMeter } from '../format/transfer-rate.ts'
import { startAddition, type AdditionOptions } from './additions.ts'
import { assertSound } from './model-actions.ts'
import { modelsChanged } from './models.ts'
import { storeOnceOpen } from './storage.ts'

/** Adds the files of a folder as a model, by the folder's name. Nothing leaves the device. */
export function addFolder({ name, files }: GivenFolder): void {
  const total = files.reduce((sum, { blob }) => sum + blob.size, 0)
  const work: AdditionOptions['work'] = async ({ signal, report }) => {
    const meter = createRateMeter()
    const { cid } = await addModel(await storeOnceOpen(), directoryOf(files), {
      name,
      label: `the folder ${name}`,
      signal,
      onProgress(event) {
        if (event.type !== 'bytes-added') return
        const { loaded, path } = event
        report({
          phase: `Reading and hashing ${path}`,
          loaded,
          total,
          ...meter.note(loaded, total, performance.now()),
          files: [],
          sources: [],
          problems: [],
        })
      },
    })
    await assertSound(cid.toString())
    return cid.toString()
  }
  startAddition({ title: name, work, after: modelsChanged })
}
