import type { OpenedModel } from '@x/model-loader'

/** The path of a model's file, checked now; `undefined` where its bytes lie in no file. */
export const checkedPath = async (
  model: OpenedModel,
  file: string,
  verify: 'stored' | 'each-open',
): Promise<string | undefined> => (model.verifiedPath ? model.verifiedPath(file, { verify }) : model.path(file))
