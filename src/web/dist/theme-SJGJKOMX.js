"use strict";(()=>{try{let t=localStorage.getItem("petstream.theme");(t==="light"||t==="dark")&&(document.documentElement.dataset.theme=t)}catch{}})();
