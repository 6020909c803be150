import { constants } from 'node:os'

import { createDiskErrors, type DiskErrors } from '@x/storage-core/backend'

const errors = createDiskErrors('fs', constants.errno)

export const systemCode: DiskErrors['systemCode'] = errors.systemCode
export const diskError: DiskErrors['diskError'] = errors.diskError
export const onDisk: DiskErrors['onDisk'] = errors.onDisk
export const ifThere: DiskErrors['ifThere'] = errors.ifThere

/** Only this means absent; a directory that is a file or cannot be read does not. */
export const isAbsent = (cause: unknown): boolean => systemCode(cause) === 'ENOENT'
