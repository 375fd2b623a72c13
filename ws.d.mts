import WebSocket = require('./ws.js');

export const createWebSocketStream: typeof WebSocket.createWebSocketStream;
export import WebSocketServer = WebSocket.WebSocketServer;
export { WebSocket };
export default WebSocket;

export type AddressInfo = WebSocket.AddressInfo;
export type ClientOptions = WebSocket.ClientOptions;
export type CloseEvent = WebSocket.CloseEvent;
export type CloseInfo = WebSocket.CloseInfo;
export type Data = WebSocket.Data;
export type ErrorEvent = WebSocket.ErrorEvent;
export type Event = WebSocket.Event;
export type MessageEvent = WebSocket.MessageEvent;
export type PerMessageDeflateOptions = WebSocket.PerMessageDeflateOptions;
export type RawData = WebSocket.RawData;
export type ServerOptions = WebSocket.ServerOptions;
export type VerifyClientCallbackAsync = WebSocket.VerifyClientCallbackAsync;
export type VerifyClientCallbackSync = WebSocket.VerifyClientCallbackSync;
