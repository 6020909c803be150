import { contentStoreConformance } from '@x/storage-core/conformance'

import { names, ports, servedBehind } from './served-setup.ts'

contentStoreConformance('opfs of this tab', servedBehind(ports))
contentStoreConformance('opfs of another tab', servedBehind(names))
