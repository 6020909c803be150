export { StallError } from '@x/storage-core/backend'

export { type Addressing } from './address.ts'
export {
  createBucketDirectory,
  type BucketDirectory,
  type BucketFile,
  type BucketFileSource,
} from './bucket-directory.ts'
export { createBucketFolder, type BucketFolder } from './bucket-folder.ts'
export { createBucketTarget, type BucketTargetOptions } from './bucket-target.ts'
export { type ListOptions, type S3Object } from './list-objects.ts'
export { type ReadObjectOptions, type S3ObjectInfo } from './read-object.ts'
export { createS3Client, type S3Client, type S3ClientOptions } from './s3-client.ts'
export { S3StatusError } from './s3-error.ts'
export { type RetryOptions } from './send.ts'
export { s3FilePaths, s3Settings, type S3Files, type S3Settings } from './settings.ts'
export { type S3Credentials } from './sign.ts'
export { type UploadOptions } from './upload-object.ts'
export { type PutObjectOptions } from './write-object.ts'
