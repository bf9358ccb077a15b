// Which view stands for the address, and whether what it shows is of now.
import {deployView, imagesView, userView} from "./act.js";
import {farm, findUser, follow, onChange} from "./feed.js";
import {farmView, jobsView, machineView} from "./farm.js";
import {jobView} from "./job.js";

const main = document.getElementById("content"), link = document.getElementById("link");
let stop = () => {};

// An address that is not encoded as one stands for the farm.
function address() {
  try {
    return location.hash.split("/").map(decodeURIComponent);
  } catch {
    return [];
  }
}

function route() {
  stop();
  const [, page, name] = address();
  if (page === "jobs" && name) stop = jobView(main, name);
  else if (page === "jobs") stop = jobsView(main);
  else if (page === "images") stop = imagesView(main);
  else if (page === "deploy" && name) stop = deployView(main, name);
  else if (page === "machines" && name) stop = machineView(main, name);
  else stop = farmView(main);
  document.title = name ? `${name} - ramet` : "ramet";
}

onChange(() => {
  const {state, text} = farm.broker;
  const words = state === "up" ? "connected" : `what is shown may be old: ${text}`;
  if (link.textContent !== words) link.textContent = words;
  link.dataset.state = state;
});
addEventListener("hashchange", () => { route(); main.focus(); });
userView(document.getElementById("user"));
route();
follow();
findUser();
