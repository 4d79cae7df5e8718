/** Media types of a single image, and of features, sent as the whole body. */
export const imageTypes = ['image/*', 'application/octet-stream'];
export const featureTypes = [
  'application/x-npy',
  'application/x-safetensors',
  'application/json',
  'application/octet-stream',
];
