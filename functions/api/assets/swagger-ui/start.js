// The API's description comes from where the page comes from, and nothing from anywhere else.
SwaggerUIBundle({
  url: "/api/v2/oa3/schema/?format=json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  validatorUrl: null,
});
