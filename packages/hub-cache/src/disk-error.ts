import { constants } from 'node:os'

import { createDiskErrors, type DiskErrors } from '@x/storage-core/backend'

const errors = createDiskErrors('hub-cache', constants.errno)

export const systemCode: DiskErrors['systemCode'] = errors.systemCode
export const diskError: DiskErrors['diskError'] = errors.diskError
export const onDisk: DiskErrors['onDisk'] = errors.onDisk
export const ifThere: DiskErrors['ifThere'] = errors.ifThere
