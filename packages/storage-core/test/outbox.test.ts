import { createMemoryOutbox } from '@x/storage-core'
import { outboxConformance } from '@x/storage-core/conformance'
import { onTestFinished } from 'vitest'

outboxConformance('memory', {
  async open(options) {
    const outbox = createMemoryOutbox(options)
    onTestFinished(() => outbox.close())
    return outbox
  },
})
