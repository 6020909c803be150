import { pythonInterop } from './python-interop.ts'

pythonInterop(1)
