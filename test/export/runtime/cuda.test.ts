import t from 'tap';
import { reasonIn, runConvolution } from '../../../export/runtime/cuda.js';

t.test('the reason is what CUDA answered, not the source line that asked', async (t) => {
  const call =
    '/onnxruntime_src/cuda_call.cc:146 std::conditional_t<THRW, void, Status> CudaCall(ERRTYPE, const char*)';
  const answer =
    'CUDA failure 101: invalid device ordinal ; GPU=0 ; hostname=vm ; expr=cudaSetDevice(info_.device_id); .';
  t.equal(reasonIn(new Error(`${call} ${answer}`)), 'CUDA failure 101: invalid device ordinal');
  t.equal(
    reasonIn(new Error('CUDNN failure 3: CUDNN_STATUS_BAD_PARAM ; GPU=0')),
    'CUDNN failure 3: CUDNN_STATUS_BAD_PARAM',
  );
  t.equal(reasonIn(new Error('It ran elsewhere.\nat once')), 'It ran elsewhere');
});

t.test('the probe runs on the CPU, too', (t) => t.resolves(runConvolution({ threads: 1 })));
