// What OHIF asks for on its start: the studies come through this server, and its MONAI Label panel talks to it.
document.cookie = `MONAILABEL_SERVER_URL=${escape(`${location.origin}/`)}; path=/ohif; SameSite=Strict`;

const hepatic = import('/ohif/hepatic.js');

window.config = {
  routerBasename: '/ohif/',
  showStudyList: true,
  extensions: [hepatic.then(({extension}) => extension)],
  modes: [hepatic.then(({monaiLabel}) => monaiLabel), hepatic.then(({segmentation}) => segmentation)],
  showWarningMessageForCrossOrigin: true,
  showCPUFallbackMessage: true,
  showLoadingIndicator: true,
  strictZSpacingForVolumeViewport: true,
  useSharedArrayBuffer: 'FALSE',
  defaultDataSourceName: 'dicomweb',
  dataSources: [
    {
      namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
      sourceName: 'dicomweb',
      configuration: {
        friendlyName: 'PACS',
        name: 'PACS',
        qidoRoot: '/proxy/dicom/qido',
        wadoRoot: '/proxy/dicom/wado',
        wadoUriRoot: '/proxy/dicom/wado',
        qidoSupportsIncludeField: true,
        supportsReject: false,
        supportsFuzzyMatching: true,
        supportsWildcard: true,
        imageRendering: 'wadors',
        thumbnailRendering: 'wadors',
        enableStudyLazyLoad: false,
        dicomUploadEnabled: UPLOAD,
        bulkDataURI: { enabled: true },
      },
    },
  ],
};
