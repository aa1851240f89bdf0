// The entry point of the Worker: what worker-build would generate.

import { fetch } from "./index.js";

export default { fetch };
