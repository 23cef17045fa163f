// The data of the page as a file.
(function () {
  const button = document.getElementById("save");
  button.hidden = false;
  button.addEventListener("click", () => {
    const blob = new Blob([document.getElementById("data").textContent], {
      type: "application/json",
    });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = button.dataset.name;
    link.click();
    URL.revokeObjectURL(link.href);
  });
})();
