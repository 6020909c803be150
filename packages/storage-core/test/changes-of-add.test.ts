import { cidOf, RAW } from '@x/cid'
import { expect, it, vi } from 'vitest'

import { changesOfAdd } from '../src/changes-of-add.ts'
import type { AddResult } from '../src/content-store.ts'

const NOW = '2026-01-02T03:04:05.000Z'
const BEFORE = '2025-01-02T03:04:05.000Z'

const cid = await cidOf(RAW, Uint8Array.of(1))
const added: AddResult = { cid, type: 'file', size: 1 }
const nothing = { root: undefined, isPinned: false }

vi.useFakeTimers({ now: new Date(NOW), toFake: ['Date'] })

it('of something new: a root and a pin, and a name where one is given', () => {
  const root = { type: 'put-root', record: { ...added, addedAt: NOW, metadata: {} } }
  const pin = { type: 'put-pin', record: { cid, pinnedAt: NOW } }
  expect(changesOfAdd(added, nothing, {})).toEqual([root, pin])
  expect(changesOfAdd(added, nothing, { pin: false })).toEqual([root])
  expect(changesOfAdd(added, nothing, { name: 'n', pin: false })).toEqual([
    root,
    { type: 'put-name', record: { name: 'n', cid, metadata: {}, updatedAt: NOW } },
  ])
})

it('what was there keeps its times, and its metadata unless others are given', () => {
  const root = { ...added, addedAt: BEFORE, metadata: { kept: true } }
  expect(changesOfAdd(added, { root, isPinned: true }, {})).toEqual([{ type: 'put-root', record: root }])
  const metadata = { kept: false }
  expect(changesOfAdd(added, { root, isPinned: true }, { metadata, name: 'n' })).toEqual([
    { type: 'put-root', record: { ...root, metadata } },
    { type: 'put-name', record: { name: 'n', cid, metadata, updatedAt: NOW } },
  ])
})
