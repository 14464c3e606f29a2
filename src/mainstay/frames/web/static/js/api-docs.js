// Starts Swagger UI on the page of the API documentation. Changes carry the page's CSRF token.

const options = JSON.parse(document.getElementById("swagger-settings").textContent);
const csrf = JSON.parse(document.body.getAttribute("hx-headers") ?? "{}")["X-CSRFToken"];

window.SwaggerUIBundle({
  ...options,
  dom_id: "#swagger-ui",
  presets: [window.SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: false,
  defaultModelsExpandDepth: -1,
  requestInterceptor: (request) => {
    if (csrf && new URL(request.url, location.href).origin === location.origin) request.headers["X-CSRFToken"] = csrf;
    return request;
  },
});
