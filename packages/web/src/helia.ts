export { heliaSource, type HeliaSourceOptions } from './pull/helia-source.ts'
