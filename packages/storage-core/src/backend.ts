// For who writes a store over a medium of its own, or a handler over one: parts that all of them are made of.
export { createGuardedBlockstore, type StoreParts } from './block-content-store.ts'
export { backoffMs, type BackoffOptions } from './backoff.ts'
export { blockKey } from './block-key.ts'
export { parseRange, type ByteRange } from './byte-range.ts'
export { changesOfAdd, type RecordedBefore } from './changes-of-add.ts'
export { isPromisedChecked, promiseAs, promiseChecked } from './checked-blocks.ts'
export { concatBytes } from './concat-bytes.ts'
export { createContentReader, type ContentReader, type ContentReaderParts } from './content-reader.ts'
export { createDagPlan, type DagPlan, type InFile, type Want } from './dag-plan.ts'
export {
  bytesOf,
  DamagedDatabaseError,
  numberOf,
  openDatabase,
  textOf,
  type Database,
  type DatabaseOptions,
  type Row,
  type SqlValue,
} from './database.ts'
export { discard } from './discard.ts'
export { createDiskErrors, type DiskErrors } from './disk-errors.ts'
export { codeOf } from './error-code.ts'
export { fetchHead, type FetchHeadOptions } from './fetch-head.ts'
export { createByteGatherer, type ByteGatherer } from './gather-bytes.ts'
export { createGate, type Gate } from './gate.ts'
export { measureHeld, type HeldFileReader } from './held-file.ts'
export { linkedController } from './linked-controller.ts'
export { createKeyedLock, untilAborted, type KeyedLock } from './lock.ts'
export { multihashKey } from './multihash-key.ts'
export { namesEtag } from './names-etag.ts'
export { namesGone } from './names-gone.ts'
export { noSourceGave, type SourceFailure } from './no-source-gave.ts'
export { profileOfOutboard } from './outboard-profile.ts'
export { rootsOfHeld } from './partial-store.ts'
export { joinAtMost, readBody, readWholeBody, type ReadBodyOptions } from './read-body.ts'
export { oneLine, publicMessage } from './public-message.ts'
export { reasonOf } from './reason-of.ts'
export { createRecordNames } from './record-names.ts'
export { assertWish, LONGEST_WAIT_MS } from './replication/outbox.ts'
export { requestBody, type BodyFault, type RequestBodyOptions } from './request-body.ts'
export { parseRetryAfter, type RetryAfterOptions } from './retry-after.ts'
export { createRootRecords, type RootRecords, type RootRecordsParts } from './root-records.ts'
export { sleep } from './sleep.ts'
export { createSlots, type Slots } from './slots.ts'
export { StallError } from './stall-error.ts'
export { startStallTimer } from './stall-timer.ts'
export {
  STATIC_VERSION_PATH,
  staticVersionText,
  staticBlockPath,
  staticDataPath,
  staticOutboardPath,
} from './static-layout.ts'
export { otherStaticVersion, type OtherStaticVersion } from './static-version.ts'
export { stoppable } from './stoppable.ts'
export { toBody, type BodyOptions } from './to-body.ts'
export { verifiedLeavesOf, withVerifiedLeaves, type OpenLeaves } from './verified-leaves.ts'
export { reachableFrom } from './walk.ts'
export { whenBodyEnds } from './when-body-ends.ts'
