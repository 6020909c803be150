/** The oldest version; the newest is that of all other tests, and those between are in versions.full.test.ts. */
import { VERSIONS, versionContract } from './versions.ts'

versionContract(VERSIONS[0] ?? '')
