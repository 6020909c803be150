import { expect, it } from 'vitest'

import { keptText } from '../src/format/kept-text.ts'

it.each([
  [true, true, 'Pinned: marked as one to keep; the browser keeps it'],
  [true, false, 'Pinned: marked as one to keep; the browser may still clear it away when the disk is full'],
  [false, true, 'Not pinned: this page clears nothing away by itself; the browser keeps it'],
  [
    false,
    false,
    'Not pinned: this page clears nothing away by itself; the browser may still clear it away when the disk is full',
  ],
  [true, undefined, 'Pinned: marked as one to keep; whether the browser keeps it is not known'],
])('promises no more than page and browser keep: pinned %s, granted %s', (pinned, persisted, text) => {
  expect(keptText(pinned, persisted)).toBe(text)
})
