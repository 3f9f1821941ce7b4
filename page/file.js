/* The page as one file: the data are in it. */

import { Data } from "./data.js";
import { Page } from "./page.js";

new Page(new Data(JSON.parse(document.getElementById("data").textContent)));
