import type { FloatArray } from './npy.js';

/** A file to upload: any picture in JPEG, PNG, WebP, GIF, TIFF or AVIF. */
export type Upload = Blob | Uint8Array | ArrayBuffer;

/** Features Φ(x) of N images, [N, C, H, W], and the model that computed them. */
export interface Features extends FloatArray {
  readonly model: string;
}

/** How a picture was prepared for the model. */
export interface Prepared {
  readonly source: { readonly type: string; readonly width: number; readonly height: number };
  /** Steps in order, in words; empty when the picture was taken as it is. */
  readonly done: readonly string[];
}

export interface Classification {
  readonly model: string;
  /** One for each picture, in order. */
  readonly predictions: readonly {
    /** Labels, the most probable first. */
    readonly top: readonly { readonly index: number; readonly label: string; readonly probability: number }[];
    readonly image: Prepared;
  }[];
}

/** Numbers as JSON has them, row by row. */
export interface Numbers {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

/** Recovered images as numbers. */
export interface Recovered {
  readonly model: string;
  /** The network's input, [N, C, H, W]: normalised pixels. */
  readonly image: Numbers;
  /** 8-bit pixels, [N, H, W, C]. */
  readonly pixels: Numbers;
}

/** How pictures came back from their features. */
export interface Reconstruction {
  readonly model: string;
  /** One for each picture, in order. */
  readonly images: readonly {
    readonly name: string;
    /** ‖x − Φ⁻¹(Φ(x))‖₂ / ‖x‖₂ of the network's input x. */
    readonly relativeError: number;
    /** The largest difference, in grey levels of 255. */
    readonly largest: number;
    /** Whether every float32 bit of the input came back. */
    readonly exactFloat: boolean;
    /** Pixel values that differ after rounding to 8 bits. */
    readonly lostPixels: number;
    readonly image: Prepared;
    /** What the network saw, what came back, and the residual: grey is none. PNGs as data URLs. */
    readonly pictures: { readonly input: string; readonly recovered: string; readonly residual: string };
  }[];
}

/** Scores of the classifier. */
export interface Scores {
  /** The class of the largest logit. */
  readonly label: string;
  /** One a class, in the order of the labels. */
  readonly logits: readonly number[];
}

/** A picture that the classifier cannot tell from A. */
export interface Metamer extends Scores {
  /** A PNG as a data URL. */
  readonly picture: string;
  /** The largest difference of a logit from that of A. */
  readonly difference: number;
  /** How far the features were moved, over their norm. */
  readonly moved: number;
  /** What is left when the picture is clipped, rounded to 8 bits and encoded again. */
  readonly rounded: Scores & { readonly difference: number };
}

/** Two pictures A and B, and two with the logits of A. */
export interface Metamers {
  readonly model: string;
  readonly labels: readonly string[];
  readonly a: Scores & { readonly picture: string };
  readonly b: Scores & { readonly picture: string };
  /** B, its features moved as little as possible until its logits are those of A. */
  readonly moved: Metamer;
  /** A, the places of its features permuted; null where there is one place. */
  readonly permuted: Metamer | null;
}

/** What each format of recovered images becomes. npy holds the network's input, [N, C, H, W]. */
export interface Recoveries {
  readonly png: Blob;
  readonly gif: Blob;
  readonly npy: FloatArray;
  readonly json: Recovered;
}

/** An experiment on a model and a data set, as a job of the service. */
export interface Analysis {
  readonly id: string;
  readonly experiment: string;
  readonly model: string;
  /** Name of a data set. */
  readonly data: string;
  /** Those that were given; defaults stand for the others. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled';
  /** Of one that runs; null before its first stage. */
  readonly progress: { readonly done: number; readonly total: number; readonly what: string } | null;
  /** Times as in ISO 8601. */
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  /** Why it failed. */
  readonly error: { readonly code: string; readonly detail: string } | null;
}

export interface AnalysisResult extends Analysis {
  /** What `irevnet analyze` prints; null until the state is done. */
  readonly result: unknown;
}

export interface Analyses {
  /** The newest first. */
  readonly analyses: readonly Analysis[];
  readonly experiments: readonly {
    readonly name: string;
    readonly title: string;
    readonly description: string;
    /** What it cannot do without: images to try or to learn from, their labels, a network with an inverse. */
    readonly needs: { readonly data?: 'test' | 'train'; readonly labels?: boolean; readonly inverse?: boolean };
    /** JSON Schema of its options. */
    readonly options: Readonly<Record<string, unknown>>;
  }[];
  /** Names of data sets. */
  readonly datasets: readonly string[];
}

export interface AnalysisRequest {
  readonly experiment: string;
  /** Name of a model; the service's default model when it is left out. */
  readonly model?: string | undefined;
  /** Name of a data set. */
  readonly data: string;
  readonly options?: Readonly<Record<string, unknown>> | undefined;
}

/** What is known about a model; openapi.yaml describes every field. */
export interface Model {
  readonly name: string;
  readonly description: string;
  readonly architecture: {
    readonly name: string;
    readonly config: Readonly<Record<string, unknown>>;
    /** Trained numbers. */
    readonly parameters: number;
  };
  /** k: Φ⁻¹ is exact on multiples of 2^-k; null: plain floats. */
  readonly grid: number | null;
  readonly input: {
    readonly height: number;
    readonly width: number;
    readonly channels: number;
    readonly mean: readonly number[];
    readonly std: readonly number[];
  };
  readonly labels: readonly string[];
  /** Shape of one image's features, [C, H, W]. */
  readonly features: { readonly shape: readonly number[] };
  /** Settings of its training; null where nothing is known of one. */
  readonly training: Readonly<Record<string, unknown>> | null;
  /** What `evaluate` measured; null where it did not. */
  readonly measured: {
    /** The images, in words. */
    readonly data: string;
    readonly images: number;
    /** null where the images have no labels. */
    readonly accuracy: number | null;
    /** Images back in every bit, and the largest relative error; null where there is no inverse. */
    readonly inversion: { readonly exactFloat: number; readonly relativeErrorMax: number } | null;
  } | null;
}

export interface Models {
  /** The model that is used when a request names none. */
  readonly default: string;
  readonly models: readonly Model[];
  /** Models that cannot be served, and why. */
  readonly unavailable: readonly { readonly name: string; readonly reason: string }[];
}

export interface Readiness {
  readonly status: string;
  /** What computes: cpu, cuda or oip (other servers). */
  readonly provider: string;
  /** Names of models that cannot be served. */
  readonly unavailable: readonly string[];
}

export interface Version {
  readonly name: string;
  readonly version: string;
  /** Version of the Node.js that runs the service. */
  readonly node: string;
}

export interface RequestOptions {
  /** Aborts the request. */
  readonly signal?: AbortSignal | undefined;
}

export interface ModelOptions extends RequestOptions {
  /** Name of a model; the service's default model when it is left out. */
  readonly model?: string | undefined;
}

export interface ImageOptions extends ModelOptions {
  /** Whether light and dark are swapped before a model sees a picture; the service decides by the border by default. */
  readonly invert?: 'auto' | 'yes' | 'no' | undefined;
}

export interface ClassifyOptions extends ImageOptions {
  /** Labels for each picture; 5 by default. */
  readonly topK?: number | undefined;
}

export interface DecodeOptions<Format extends 'png' | 'npy' | 'json'> extends ModelOptions {
  /** png by default, which holds one image. */
  readonly format?: Format | undefined;
}

export interface InterpolateOptions<Format extends keyof Recoveries> extends ImageOptions {
  /** Frames, both ends included; 8 by default. */
  readonly steps?: number | undefined;
  /** png by default: the frames side by side. gif is animated. */
  readonly format?: Format | undefined;
}

export interface AnalysisFigureOptions extends RequestOptions {
  /** svg by default; vl.json: the Vega-Lite specification. */
  readonly format?: 'svg' | 'png' | 'vl.json' | undefined;
}
